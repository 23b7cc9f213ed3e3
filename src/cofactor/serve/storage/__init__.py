"""What a server keeps on disk: the state directory, the database in it or elsewhere, the files of versions."""
