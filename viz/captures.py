"""Writing pictures, clips and sessions in the background; what was written is said."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gui_utils.readouts import Level
from gui_utils.window import Window
from render import jobs
from render.png_session import save_png, shared_text
from render.request import RenderRequest
from render.result import GeneratorInfo
from render.session import Session
from render.session_file import BadFile, save_session
from render.worker import Progress, RenderWorker
from viz.files import capture_path
from viz.view import SideView, Task

WRITE_JOB, CLIP_JOB = 'write', 'clip'


@dataclass(frozen=True, slots=True)
class Said:
    """What came of a capture."""

    words: str
    level: Level = 'good'


class Captures:
    """At most one file being written and one clip being recorded, on the worker's thread."""

    def __init__(self, worker: RenderWorker) -> None:
        self._worker = worker
        self._writing = False
        self.wants_picture = False
        """The picture is written once it is there."""
        self.wants_window = False
        """The window is written as it was drawn last."""
        self.clip: Task | None = None
        """The clip that is being recorded, for the panels."""

    @property
    def is_busy(self) -> bool:
        """Whether something is being written."""
        return self._writing or self.clip is not None

    def write(self, path: Path, pixels: np.ndarray, session: Session) -> None:
        """Write a PNG that carries `session`. `pixels`: [height, width, 3 or 4] uint8."""
        self._writing = True
        text = shared_text(session)
        self._worker.start(partial(_write_job, path=path, pixels=pixels, text=text), name=WRITE_JOB)

    def take(self, session: Session, known: SideView, window: Window) -> None:
        """Write what is wanted, once it is there. `known`: of the side whose picture is wanted."""
        if self.wants_window:
            self.wants_window = False
            path = capture_path(session, known.model, '.png', what='window')
            self.write(path, window.pixels(), session)
        if self.wants_picture and (known.is_final or known.error is not None):
            self.wants_picture = False
            if known.result is not None and known.result.image is not None:
                self.write(capture_path(session, known.model, '.png'), known.result.image, session)

    def save_session(self, session: Session, model: GeneratorInfo | None) -> Said:
        """Write the session file, and say so."""
        path = capture_path(session, model, '.json', what='session')
        try:
            save_session(path, session)
        except BadFile as error:
            return Said(str(error), 'bad')
        return Said(f'Wrote {path}')

    def record(self, path: Path, requests: tuple[RenderRequest, ...], session: Session) -> None:
        """Render `requests` into an MP4 that carries `session`."""
        self.clip = Task(f'Recording {path.name} …')
        job = partial(
            jobs.clip,
            requests=requests,
            path=path,
            frames_per_second=session.capture.frames_per_second,
            session_text=shared_text(session),
        )
        self._worker.start(job, name=CLIP_JOB)

    def cancel_clip(self) -> None:
        """Stop recording; nothing is left behind."""
        self._worker.cancel(CLIP_JOB)

    def poll(self) -> list[Said]:
        """What became of captures since the last call."""
        said = []
        written = self._worker.poll_job(WRITE_JOB) if self._writing else None
        if written is not None and written.done:
            self._writing = False
            said.append(_said(written.error, written.outcome))
        report = self._worker.poll_job(CLIP_JOB) if self.clip is not None else None
        if report is not None and report.done:
            self.clip = None
            said.append(
                Said('The clip was cancelled; nothing was written.', 'info')
                if report.cancelled
                else _said(report.error, report.outcome)
            )
        elif report is not None and self.clip is not None:
            self.clip = Task(self.clip.title, report.progress.fraction, report.progress.text)
        return said


def _said(error: str | None, outcome: object) -> Said:
    return Said(error, 'bad') if error is not None else Said(f'Wrote {outcome}')


def _write_job(_: Any, *, path: Path, pixels: np.ndarray, text: str) -> Generator[Progress, None, Path]:
    yield Progress(None, f'Writing {path.name}')
    save_png(path, pixels, text)
    return path
