"""Causes in plain words: title, what happens, what helps. No torch."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """Of one cause; `{layer}` is filled in."""

    title: str
    explanation: str
    cure: str


WORDS = {
    'noise': Words(
        'Per-pixel noise input',
        'Fed with a featureless input, {layer} answers with a pattern that is fixed to the pixels. Texture that is built on '
        'it stays on the screen when the picture moves.',
        'Remove the noise input of {layer} (strength 0); variation must come from the latent.',
    ),
    'border': Words(
        'Zero padding or missing margin',
        'Fed with a featureless input, {layer} answers with a frame along the border of the canvas: zeros enter where the '
        'picture should go on. The network can tell where the border is, and ties detail to it.',
        'Give every layer before the last a margin of 10 samples around the canvas and crop only at the end.',
    ),
    'up-filter': Words(
        'Weak upsampling filter',
        'The filter that raises the sampling rate in {layer} leaves copies (images) of the signal at high frequencies. They '
        'are tied to the sampling grid and do not move with the picture.',
        'Replace the upsampling filter of {layer} by a Kaiser-windowed sinc for the band of the layer before it.',
    ),
    'down-filter': Words(
        'Weak downsampling filter',
        'The filter after the non-linearity of {layer} lets through what lies beyond half of the sampling rate; it folds '
        'back as detail that moves the wrong way.',
        'Replace the downsampling filter of {layer} by a Kaiser-windowed sinc whose stopband begins at half of the rate.',
    ),
    'nonlinearity': Words(
        'Unfiltered non-linearity',
        'The leaky ReLU of {layer} makes harmonics of every frequency, and nothing removes them before they meet the '
        'sampling grid: they fold back.',
        'Run the non-linearity of {layer} at twice the rate, between an upsampling and a downsampling filter (m = 2).',
    ),
    'cutoff': Words(
        'Cutoff too high (critical sampling)',
        'The low-pass filter of {layer} ends at half of the sampling rate, which leaves it no room to fall off: what lies just '
        'beyond is hardly attenuated and folds back.',
        'Lower the cutoff of {layer} so that cutoff plus transition band end at half of the rate.',
    ),
    'constant': Words(
        'Learned constant instead of Fourier features',
        'The first features do not follow when the input is moved: the network begins with values that are tied to the '
        'sampling grid.',
        'Begin with Fourier features, which can be evaluated at any position.',
    ),
    'separable': Words(
        'Separable filter where rotation needs a radial one',
        'The convolutions of {layer} treat all directions alike, but its filter passes higher frequencies along the diagonals '
        'than along the axes. Rotated detail comes out differently.',
        'Use the circularly symmetric (jinc) filter for downsampling in {layer}.',
    ),
}  # fmt: skip
"""Cause -> words."""
