.globl mian
main: nop
