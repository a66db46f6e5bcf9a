.error "no such chip"
