"""What the tests of tuned sets look at, and how they stop a run."""

from resolvent.datasets.placing import executors

ESTIMATES = {"rule": 1.0, "fast": 1.2, "wild": 1.4, "hopeless": 9.0}


def arms(ds):
    return [ds.decisions[chunk].arm for chunk in sorted(ds.decisions)]


def parts(ds_or_path):
    path = getattr(ds_or_path, "path", ds_or_path)
    return path.with_name(path.name + ".parts")


def stopped_at(monkeypatch, chunk, look=lambda task: None):
    """Make a chunk raise before it does anything."""
    with monkeypatch.context() as patch:
        run_chunk = executors.run_chunk

        def run(task, **options):
            look(task)
            if task.chunk == chunk:
                raise ZeroDivisionError
            return run_chunk(task, **options)

        patch.setattr(executors, "run_chunk", run)
        yield


SEQUENCE = ["rule", "fast", "wild", "fast:more", "fast:more", "fast:more"]
