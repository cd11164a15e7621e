"""Files: what a finished set looks like, shards and journal of an unfinished one, and how they become one."""
