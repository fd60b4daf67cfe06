"""How far a run is, in plain lines: jobs done, running and left, and when it ends at this pace.

Snakemake tells its loggers of every job that starts and ends (`snakemake_interface_logger_plugins.common.LogEvent`).
No torch here: every `snakemake` call imports this module.
"""

import logging
import time

EVERY = 20  # seconds between two lines, at least


class Progress(logging.Handler):
    """Count the jobs that Snakemake's records name, and print a line now and then.

    Parameters
    ----------
    say : callable
        Takes a line.
    clock : callable
        Returns seconds since the epoch.
    """

    def __init__(self, say, clock=time.time):
        super().__init__()
        self.say, self.clock = say, clock
        self.began = self.last = clock()
        self.running = set()
        self.done, self.total = 0, 0

    def emit(self, record):
        """Take up one record. Records of other events change nothing.

        Parameters
        ----------
        record : logging.LogRecord
            Of Snakemake, with the fields of its event.
        """
        event = str(getattr(record, "event", ""))
        if event == "job_started":
            self.running.update(record.jobs)
            # Not where a job has ended: the next one has not begun then.
            self._line()
        elif event == "job_finished":
            self.running.discard(record.job_id)
        elif event == "job_error":
            self.running.discard(getattr(record, "jobid", None))
        elif event == "progress":
            self.done, self.total = record.done, record.total

    def _line(self):
        now, done, total = self.clock(), self.done, self.total
        if not done or now - self.last < EVERY:
            return
        self.last = now
        left = total - done - len(self.running)
        end = now + (now - self.began) / done * (total - done)
        self.say(
            f"{done} jobs done, {len(self.running)} running, {left} left; at this pace the run ends at "
            f"{time.strftime('%H:%M', time.localtime(end))}"
        )


def report(say):
    """Print the progress of the run that begins now.

    Parameters
    ----------
    say : callable
        Takes a line.
    """
    logging.getLogger("snakemake").addHandler(Progress(say))
