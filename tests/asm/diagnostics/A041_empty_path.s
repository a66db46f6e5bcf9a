.file 1 ""
