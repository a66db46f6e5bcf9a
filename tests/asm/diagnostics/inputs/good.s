# nothing wrong
.equ HERE, 1
