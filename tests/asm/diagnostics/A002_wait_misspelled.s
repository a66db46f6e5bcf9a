vpu.sync wiat s0>=1
vpu.sync signals s0
