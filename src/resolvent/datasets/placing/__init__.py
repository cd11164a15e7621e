"""Where chunks are made: this process, local processes, Dask, MPI, or jobs of an array that are merged."""
