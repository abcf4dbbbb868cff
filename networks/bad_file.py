"""The one error that reading or writing a user's file may raise. No torch."""

MAX_SENTENCE_CHARACTERS = 240


class BadFile(Exception):
    """A file that cannot be used, and why.

    `code` is stable, for tests and logs ('truncated', 'attack', …). `sentence` is for people: one line that
    says what is wrong, with which value, and what to do. `str(error)` is the sentence.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(code, sentence)
        self.code = code
        self.sentence = shown(' '.join(sentence.split()), limit=MAX_SENTENCE_CHARACTERS)

    def __str__(self) -> str:
        return self.sentence

    def named(self, name: object) -> 'BadFile':
        """The same error with the file's `name` in the sentence instead of 'The file'."""
        label = shown(name, limit=48)
        if self.sentence.startswith('The file '):
            return BadFile(self.code, f'{label} {self.sentence.removeprefix("The file ")}')
        return BadFile(self.code, f'{label}: {self.sentence}')


def shown(text: object, *, limit: int = 48) -> str:
    """`text` made fit to print: one line, no control characters, at most `limit` characters."""
    clean = ''.join(character if character.isprintable() else '?' for character in str(text)[: limit + 1])
    return clean if len(clean) <= limit else clean[: limit - 1] + '…'
