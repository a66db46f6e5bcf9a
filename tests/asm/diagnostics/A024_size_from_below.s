.rodata
.zero end
end:
