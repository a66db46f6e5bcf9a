.file 1 "a"
.loc 1 0
