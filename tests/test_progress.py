"""The lines that tell how far a run is."""

import logging
import re
import time

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from plumbline.workflow import progress


@pytest.fixture
def handler():
    """A handler with its lines as `said` and a clock that stands at the last of `times`."""
    times, said = [0.0], []
    found = progress.Progress(say=said.append, clock=lambda: times[-1])
    found.said, found.times = said, times
    return found


def tell(handler, event, **fields):
    record = logging.makeLogRecord({"event": event, **fields})
    handler.emit(record)


def test_a_line_counts_the_jobs_and_names_the_end_at_this_pace(handler):
    tell(handler, LogEvent.JOB_STARTED, jobs=[1, 2, 3])
    tell(handler, LogEvent.JOB_FINISHED, job_id=1)
    handler.times.append(60.0)
    tell(handler, LogEvent.PROGRESS, done=1, total=10)
    # One job a minute: nine more end ten minutes after the start.
    end = time.strftime("%H:%M", time.localtime(600.0))
    assert handler.said == [f"1 jobs done, 2 running, 7 left; at this pace the run ends at {end}"]


def test_lines_are_rare_and_the_last_job_has_none(handler):
    for done in range(1, 11):
        handler.times.append(100.0 + done)
        tell(handler, LogEvent.PROGRESS, done=done, total=10)
    assert len(handler.said) == 1
    handler.times.append(300.0)
    tell(handler, LogEvent.PROGRESS, done=10, total=10)
    assert len(handler.said) == 1


def test_a_job_that_fails_runs_no_longer(handler):
    tell(handler, LogEvent.JOB_STARTED, jobs=[4])
    tell(handler, LogEvent.JOB_ERROR, jobid=4)
    handler.times.append(60.0)
    tell(handler, LogEvent.PROGRESS, done=1, total=3)
    assert ", 0 running, 2 left;" in handler.said[0]


def test_other_records_change_nothing(handler):
    handler.times.append(60.0)
    for event in set(LogEvent) - {
        LogEvent.JOB_STARTED,
        LogEvent.JOB_FINISHED,
        LogEvent.JOB_ERROR,
        LogEvent.PROGRESS,
    }:
        tell(handler, event)
    handler.emit(logging.makeLogRecord({"msg": "a line of Snakemake's"}))
    assert handler.said == [] and handler.running == set()


def test_records_of_snakemake_arrive(monkeypatch):
    from snakemake.logging import logger

    said = []
    times = iter([0.0] + [60.0] * 10)
    monkeypatch.setattr(progress.time, "time", lambda: next(times))
    handler = progress.Progress(said.append, clock=lambda: next(times))
    logging.getLogger("snakemake").addHandler(handler)
    try:
        logger.warning(None, extra={"event": LogEvent.PROGRESS, "done": 2, "total": 4})
    finally:
        logging.getLogger("snakemake").removeHandler(handler)
    assert len(said) == 1 and re.match("2 jobs done, 0 running, 2 left; ", said[0])
