"""Every use of a part of Snakemake that its documentation does not name, each behind a guard.

A version of Snakemake without one of them loses what its function says, and nothing else.
"""

# The limit that Snakemake sets where the user sets none: job starts and seconds.
DEFAULT_RATE = (100, 1)


def lift_rate_limit(workflow):
    """Take away Snakemake's default limit of job starts; a limit that the user has set stays.

    To keep the limit, Snakemake 9 arms a timer for each job that ends, and each timer starts a round over all ready jobs.
    After 250 jobs that costs a third of a core. No run of this project starts 100 jobs in a second. Without this part: the
    same run, slower.
    """
    scheduler = getattr(workflow, "scheduler", None)
    limiter = getattr(scheduler, "job_rate_limiter", None)
    if limiter and (getattr(limiter, "max_jobs", None), getattr(limiter, "timespan", None)) == DEFAULT_RATE:
        scheduler.job_rate_limiter = None


def uses_environments(workflow):
    """Whether jobs run in environments of conda or in containers. Without this part: no."""
    return bool(getattr(getattr(workflow, "deployment_settings", None), "deployment_method", None))


def runs_locally(workflow):
    """Whether jobs run on this machine as processes of this run. Without this part: no."""
    return getattr(getattr(workflow, "executor_plugin", None), "name", None) == "local"
