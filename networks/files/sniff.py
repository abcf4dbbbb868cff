"""What a file is by its first bytes, and the sentence for one that is no model."""

from networks.bad_file import BadFile

_OPEN_A_MODEL = 'open a snapshot (.pkl) or a .safetensors model'

_SIGNATURES = (
    ('image', b'\x89PNG\r\n\x1a\n', 'is a PNG image, not a model; ' + _OPEN_A_MODEL + '.'),
    ('image', b'\xff\xd8\xff', 'is a JPEG image, not a model; ' + _OPEN_A_MODEL + '.'),
    ('image', b'GIF8', 'is a GIF image, not a model; ' + _OPEN_A_MODEL + '.'),
    ('lfs', b'version https://git-lfs', 'is a Git LFS pointer, not the model itself; run "git lfs pull" to get it.'),
    ('gzip', b'\x1f\x8b', 'is compressed with gzip; unpack it with gunzip and open what comes out.'),
    ('xz', b'\xfd7zXZ\x00', 'is compressed with xz; unpack it and open what comes out.'),
    ('bzip2', b'BZh', 'is compressed with bzip2; unpack it and open what comes out.'),
    ('zstd', b'\x28\xb5\x2f\xfd', 'is compressed with zstd; unpack it and open what comes out.'),
    ('archive', b'7z\xbc\xaf\x27\x1c', 'is a 7-Zip archive; unpack it and open the model in it.'),
    ('archive', b'Rar!', 'is a RAR archive; unpack it and open the model in it.'),
    ('hdf5', b'\x89HDF\r\n\x1a\n', 'is an HDF5 file, not a StyleGAN model; ' + _OPEN_A_MODEL + '.'),
    ('pdf', b'%PDF', 'is a PDF document, not a model; ' + _OPEN_A_MODEL + '.'),
    (
        'state-dict',
        b'\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19',
        'is a torch.save file without the description of its network; open the official snapshot (.pkl) instead.',
    ),
)
_MOJIBAKE = (b'\xc2\x80', b'\xef\xbf\xbd')


def looks_like_safetensors(head: bytes) -> bool:
    """Whether the file starts like a safetensors file: an 8-byte length, then JSON."""
    return len(head) > 8 and head[8:9] == b'{' and int.from_bytes(head[:8], 'little') < 1 << 32


def foreign_file(head: bytes) -> BadFile | None:
    """Why a file that starts with `head` (512 bytes) is no model; None when it may be a pickle or safetensors."""
    for code, signature, rest in _SIGNATURES:
        if head.startswith(signature):
            return BadFile(code, f'The file {rest}')
    for code, found, rest in _by_place(head):
        if found:
            return BadFile(code, f'The file {rest}')
    if head[:1] == b'\x80' or looks_like_safetensors(head):
        return None
    if _is_text(head):
        return BadFile('text', f'The file is a text file, not a model; {_OPEN_A_MODEL}.')
    return BadFile('not-a-model', f'The file is not a StyleGAN snapshot; {_OPEN_A_MODEL}.')


def _by_place(head: bytes) -> tuple[tuple[str, bool, str], ...]:
    """Kinds told by more than a fixed start: (code, whether it is that, rest of the sentence)."""
    start = head.lstrip(b'\xef\xbb\xbf \t\r\n').lower()
    is_page = start.startswith((b'<!doctype', b'<html', b'<head', b'<?xml')) or b'<html' in start
    is_zip = head.startswith((b'PK\x03\x04', b'PK\x05\x06'))
    is_torch_zip = is_zip and b'data.pkl' in head[:200]
    return (
        ('empty', not head, 'is empty; download or copy it again.'),
        ('image', head[:4] == b'RIFF' and head[8:12] == b'WEBP', f'is a WebP image, not a model; {_OPEN_A_MODEL}.'),
        ('image', head[:2] == b'BM' and not _is_text(head), f'is a BMP image, not a model; {_OPEN_A_MODEL}.'),
        ('video', head[4:8] == b'ftyp', f'is a video, not a model; {_OPEN_A_MODEL}.'),
        ('web-page', is_page, 'is a web page, not a model: the download failed; get the file itself.'),
        (
            'state-dict',
            is_torch_zip,
            'is a torch.save archive (.pt) without the description of its network; '
            'open the official snapshot (.pkl) instead.',
        ),
        ('zip', is_zip, f'is a ZIP archive (a data set?), not a model; {_OPEN_A_MODEL}.'),
        ('archive', head[257:262] == b'ustar', 'is a TAR archive; unpack it and open the model in it.'),
        ('json', start[:1] in (b'{', b'[') and _is_text(head), f'is a JSON text, not a model; {_OPEN_A_MODEL}.'),
        ('damaged', head.startswith(_MOJIBAKE), 'was saved as text, which destroyed it; download it again as binary.'),
    )


def _is_text(head: bytes) -> bool:
    """Whether `head` is text in UTF-8 or UTF-16, apart from a character cut in two at its end."""
    if head.startswith((b'\xff\xfe', b'\xfe\xff')):
        return True
    try:
        text = head.decode('utf-8')
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:
            return False
        text = head[: error.start].decode('utf-8')
    return all(character.isprintable() or character in '\t\r\n\f\x1b' for character in text)
