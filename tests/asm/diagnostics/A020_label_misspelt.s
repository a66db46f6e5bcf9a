start: nop
j stort
