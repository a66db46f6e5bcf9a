.file 1 "\xff"
