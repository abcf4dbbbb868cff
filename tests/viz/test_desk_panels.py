"""Panels that read what the window knows, and ask for things."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from gui_utils.testing import PanelTester
from render.session import CaptureState, FilterState, PerformanceState, Session, Side, SpectrumState
from tests.viz.conftest import draw, sample_request
from tests.viz.fake_renderer import KEY, FakeRenderer, make_info, make_spectrum, waves, without
from viz import commands
from viz.capture_panel import capture_panel
from viz.commands import Command
from viz.measure import Measured, Meter, Speed, process_bytes
from viz.model_panel import count_text, model_panel
from viz.performance_panel import performance_panel, split_note
from viz.spectrum_panel import frequency_markers, reduced, spectrum_panel, top_of_scale, value_at
from viz.view import Average, Desk, FrameTimes, SideView, Task, View, average_subject

MakeDesk = Callable[..., Desk]
SESSION = Session(a=Side(model=KEY), recent=('demo:', '/models/faces.pkl'))


def texts(tester: PanelTester) -> str:
    return '\n'.join(item.label for item in tester.recorder.texts)


def test_the_model_panel_says_what_was_read(tester: PanelTester, make_desk: MakeDesk) -> None:
    assert draw(tester, model_panel, SESSION, make_desk()) is SESSION
    shown = texts(tester)
    for expected in ('StyleGAN3-T 256 px', '23.3 million', 'it was not run', '16384', 'abc'):
        assert expected in shown


def test_a_path_is_opened_when_it_is_entered(tester: PanelTester, make_desk: MakeDesk, asked: list[Command]) -> None:
    tester.type(model_panel, SESSION, 'Open', '/tmp/some.pkl', make_desk())
    assert asked == [commands.OpenPath('/tmp/some.pkl')]


def test_recent_files_are_opened(tester: PanelTester, make_desk: MakeDesk, asked: list[Command]) -> None:
    tester.choose(model_panel, SESSION, 'Recent', '/models/faces.pkl', make_desk())
    assert asked == [commands.OpenPath('/models/faces.pkl')]


def test_the_other_network_of_the_file_is_chosen(tester: PanelTester, make_desk: MakeDesk) -> None:
    session = tester.click(model_panel, SESSION, 'G', make_desk())
    assert session.a.model == replace(KEY, network='G')


def test_opening_shows_progress_and_can_be_cancelled(
    tester: PanelTester, make_desk: MakeDesk, asked: list[Command]
) -> None:
    desk = make_desk(view=View(opening=Task('Loading x.pkl …', 0.4, 'Reading tensors')))
    tester.click(model_panel, SESSION, 'cancel Reading', desk)
    assert asked == [commands.CancelOpening()]


def test_without_a_generator_the_model_panel_says_what_to_do(tester: PanelTester, make_desk: MakeDesk) -> None:
    draw(tester, model_panel, Session(), make_desk(result=None))
    assert 'Drop a file' in texts(tester)


def test_large_counts_are_words() -> None:
    assert (count_text(23_320_443), count_text(12_345)) == ('23.3 million', '12,345')


def test_the_spectrum_draws_both_plots_and_changes_nothing(tester: PanelTester, make_desk: MakeDesk) -> None:
    state = SpectrumState()
    assert draw(tester, spectrum_panel, state, make_desk()) is state
    assert any('spectrum' in label for label in tester.labels())
    assert any('profiles' in label for label in tester.labels())


@pytest.mark.parametrize(('button', 'plot'), [('2-D', 'image'), ('Profiles', 'profiles'), ('Both', 'both')])
def test_what_is_plotted_is_chosen(tester: PanelTester, make_desk: MakeDesk, button: str, plot: str) -> None:
    assert tester.click(spectrum_panel, SpectrumState(), button, make_desk()).plot == plot


def test_averaging_is_asked_for_and_cancelled(tester: PanelTester, make_desk: MakeDesk, asked: list[Command]) -> None:
    tester.click(spectrum_panel, SpectrumState(average_count=16), 'Average 16', make_desk())
    running = make_desk(view=View(averaging=Task('Averaging …', 0.5, '8 of 16 latents')))
    tester.click(spectrum_panel, SpectrumState(), 'cancel 8', running)
    assert asked == [commands.AverageSpectrum(16), commands.CancelAverage()]


def test_an_average_is_shown_until_it_is_forgotten(
    tester: PanelTester, make_desk: MakeDesk, asked: list[Command]
) -> None:
    request = sample_request()
    mean = make_spectrum(waves(request, 64, 64, 0, 3), 64, samples=32)
    desk = make_desk(average=Average(mean, average_subject(request)))
    assert desk.side.shown_spectrum() is mean
    tester.click(spectrum_panel, SpectrumState(), 'Mean of 32', desk)
    assert asked == [commands.ForgetAverage()]


def test_an_average_of_something_else_is_not_shown(make_desk: MakeDesk) -> None:
    mean = make_spectrum(waves(sample_request(), 64, 64, 0, 3), 64, samples=32)
    other = sample_request(filters=FilterState('bilinear'))
    desk = make_desk(average=Average(mean, average_subject(other)))
    assert desk.side.shown_spectrum() is not mean


def test_spectrum_settings(tester: PanelTester, make_desk: MakeDesk) -> None:
    desk = make_desk()
    tester.click(spectrum_panel, SpectrumState(), 'Spectrum settings', desk)
    state = tester.type(spectrum_panel, SpectrumState(), 'Window β', '4', desk, ctrl=True)
    assert state.kaiser_beta == 4
    assert tester.click(spectrum_panel, state, 'All channels', desk).channel == 0


def test_lines_are_drawn_at_cutoff_stopband_and_half_rate() -> None:
    layer = make_info().layers[5]
    marked = {marker.label: marker.x for marker in frequency_markers(layer, 16.0)}
    assert marked == {'s/2': 16.0, 'f_c': layer.cutoff, 'f_t': layer.stopband}
    assert [marker.label for marker in frequency_markers(None, 32.0)] == ['s/2']


def test_large_spectra_are_reduced_without_losing_a_peak() -> None:
    power = np.full((1025, 1025), -50.0, np.float32)
    power[700, 3] = 12.0
    small = reduced(power)
    assert max(small.shape) <= 282 and small.max() == 12.0
    assert reduced(small) is small


def test_the_scale_of_colours_stands_on_steps() -> None:
    assert top_of_scale(np.array([3.0, np.nan])) == 20.0
    assert top_of_scale(np.array([np.nan])) == 0.0


def test_the_power_below_the_mouse() -> None:
    spectrum = make_spectrum(waves(sample_request(), 64, 64, 0, 3), 64)
    height, width = spectrum.power_db.shape
    assert value_at(spectrum, -32, 32) == spectrum.power_db[0, 0]
    assert value_at(spectrum, 32, -32) == spectrum.power_db[height - 1, width - 1]


def test_captures_are_asked_for(tester: PanelTester, make_desk: MakeDesk, asked: list[Command]) -> None:
    state, desk = CaptureState(), make_desk()
    tester.click(capture_panel, state, 'Save PNG', desk)
    window = tester.click(capture_panel, state, 'Window', desk)
    tester.click(capture_panel, window, 'Save PNG', desk)
    tester.click(capture_panel, state, 'Save session', desk)
    tester.click(capture_panel, state, 'Record MP4', desk)
    assert asked == [commands.SavePicture(), commands.SaveWindow(), commands.SaveSession(), commands.RecordClip()]


def test_the_clip_is_described(tester: PanelTester, make_desk: MakeDesk) -> None:
    state = tester.choose(capture_panel, CaptureState(), 'Motion', 'One turn', make_desk())
    assert state.motion == 'turn'
    assert tester.type(capture_panel, state, 'Length', '2.5', make_desk(), ctrl=True).seconds == 2.5
    assert tester.type(capture_panel, state, 'Folder', '/tmp/here', make_desk()).folder == '/tmp/here'


def test_a_running_recording_can_be_cancelled(tester: PanelTester, make_desk: MakeDesk, asked: list[Command]) -> None:
    desk = make_desk(view=View(recording=Task('Recording', 0.5, '60 of 120 frames')))
    tester.click(capture_panel, CaptureState(), 'cancel 60', desk)
    assert asked == [commands.CancelClip()]


@pytest.mark.parametrize(
    ('state', 'lacking', 'reason'),
    [
        (CaptureState(motion='turn'), ('transform',), 'It has no transform.'),
        (CaptureState(motion='animations'), (), 'Nothing is animated'),
    ],
)
def test_a_clip_that_cannot_be_made_says_why(
    tester: PanelTester, make_desk: MakeDesk, asked: list[Command], state: CaptureState, lacking: tuple, reason: str
) -> None:
    desk = make_desk(model=without(make_info(), *lacking))
    tester.click(capture_panel, state, 'Record MP4', desk)
    assert asked == []
    tester.hover('Record MP4', frames=60)
    assert reason in texts(tester)


def test_the_performance_panel_shows_times_backends_and_why(tester: PanelTester, make_desk: MakeDesk) -> None:
    view = View(measured=Measured('CPU', 25, 300 << 20), graphics='llvmpipe')
    state = PerformanceState()
    assert draw(tester, performance_panel, state, make_desk(view=view, speed=Speed(whole_seconds=0.0042))) is state
    shown = texts(tester)
    for expected in (
        'CPU',
        '4.2 ms',
        '25.0 /s',
        '300 MiB',
        'llvmpipe',
        'cpu (Numba, 2 threads)',
        'reference (shape not',
    ):
        assert expected in shown


def test_precision_is_chosen(tester: PanelTester, make_desk: MakeDesk) -> None:
    assert tester.click(performance_panel, PerformanceState(), 'float32', make_desk()).precision == 'float32'


def test_notes_become_rows() -> None:
    assert split_note('upfirdn2d: reference (no CUDA)') == ('upfirdn2d', 'reference (no CUDA)')
    assert split_note('only 2 channels: others are not shown') == ('', 'only 2 channels: others are not shown')


def test_frame_times_forget_the_oldest() -> None:
    times = FrameTimes()
    for _ in range(500):
        times.add(0.016, 0.001)
    assert times.mean_frame() == pytest.approx(16)


def test_an_error_keeps_the_old_picture() -> None:
    known = SideView().answered(FakeRenderer().render(sample_request()))
    broken = known.answered(replace(known.result, image=None, error='It broke.'))
    assert broken.result is known.result and broken.error == 'It broke.'
    assert broken.answered(known.result).error is None


def test_the_meter_counts_the_pictures_of_the_last_second() -> None:
    now, result = [0.0], replace(FakeRenderer().render(sample_request()), seconds=0.05)
    meter = Meter(clock=lambda: now[0])
    for step in range(40):
        now[0] = step / 10
        meter.note(result)
    assert meter.measured.renders_a_second == pytest.approx(10, abs=1)


def test_the_memory_of_the_process_is_known_here() -> None:
    assert process_bytes() > 10 << 20
