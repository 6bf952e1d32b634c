"""What a FastLabel workspace holds, as plain records: fetched once, kept in a file, read without network."""
