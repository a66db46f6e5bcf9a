.warning "slow"
