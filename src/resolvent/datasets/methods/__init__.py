"""How the systems of a chunk are solved; `strategies` is where to begin reading."""
