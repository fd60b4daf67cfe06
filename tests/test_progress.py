"""The lines that tell how far a run is."""

import logging
import re
import time

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from plumbline.workflow import progress


@pytest.fixture
def handler():
    """A handler with its lines as `said` and a clock that stands at the last of `times`, 0 at first."""
    times, said = [0.0], []
    found = progress.Progress(say=said.append, clock=lambda: times[-1])
    found.said, found.times = said, times
    return found


def tell(handler, event, **fields):
    handler.emit(logging.makeLogRecord({"event": event, **fields}))


def test_a_line_counts_the_jobs_and_names_the_end_at_this_pace(handler):
    """Of two cores both are busy when the next job has begun."""
    tell(handler, LogEvent.JOB_STARTED, jobs=[1, 2])
    handler.times.append(60.0)
    tell(handler, LogEvent.JOB_FINISHED, job_id=1)
    tell(handler, LogEvent.PROGRESS, done=1, total=10)
    tell(handler, LogEvent.JOB_STARTED, jobs=[3])
    # One job a minute: nine more end ten minutes after the start.
    end = time.strftime("%H:%M", time.localtime(600.0))
    assert handler.said == [f"1 jobs done, 2 running, 7 left; at this pace the run ends at {end}"]


def test_lines_are_rare_and_none_comes_before_a_job_has_ended(handler):
    handler.times.append(100.0)
    tell(handler, LogEvent.JOB_STARTED, jobs=[0])
    assert handler.said == []
    for done in range(1, 10):
        handler.times.append(100.0 + done)
        tell(handler, LogEvent.PROGRESS, done=done, total=10)
        tell(handler, LogEvent.JOB_STARTED, jobs=[done])
    assert len(handler.said) == 1


def test_a_job_that_fails_runs_no_longer(handler):
    tell(handler, LogEvent.JOB_STARTED, jobs=[4])
    tell(handler, LogEvent.JOB_ERROR, jobid=4)
    handler.times.append(60.0)
    tell(handler, LogEvent.PROGRESS, done=1, total=3)
    tell(handler, LogEvent.JOB_STARTED, jobs=[5])
    assert handler.said[0].startswith("1 jobs done, 1 running, 1 left;")


def test_other_records_change_nothing(handler):
    handler.times.append(60.0)
    known = {LogEvent.JOB_STARTED, LogEvent.JOB_FINISHED, LogEvent.JOB_ERROR, LogEvent.PROGRESS}
    for event in set(LogEvent) - known:
        tell(handler, event)
    handler.emit(logging.makeLogRecord({"msg": "a line of Snakemake's"}))
    assert handler.said == [] and handler.running == set()


def test_records_of_snakemake_arrive(handler):
    from snakemake.logging import logger

    logging.getLogger("snakemake").addHandler(handler)
    try:
        handler.times.append(60.0)
        logger.warning(None, extra={"event": LogEvent.PROGRESS, "done": 2, "total": 4})
        logger.warning(None, extra={"event": LogEvent.JOB_STARTED, "jobs": [7]})
    finally:
        logging.getLogger("snakemake").removeHandler(handler)
    assert len(handler.said) == 1 and re.match("2 jobs done, 1 running, 1 left; ", handler.said[0])
