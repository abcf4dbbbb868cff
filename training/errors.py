"""The one exception that a person who trains sees as a sentence."""


class TrainingError(Exception):
    """Training cannot start or go on. Its text is one sentence: what was wrong, with which value, what to do."""
