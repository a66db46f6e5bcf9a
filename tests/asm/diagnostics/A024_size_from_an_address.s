.rodata
end: .zero end
