li x1, 
