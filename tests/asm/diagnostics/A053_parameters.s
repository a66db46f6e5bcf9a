.macro a 5
.endm
.macro b x, x
.endm
.macro c x:vararg, y
.endm
.macro d x:req=5
.endm
.macro e x y
.endm
        a       1
        b       2                       # calls of what is broken are no mistakes of their own
