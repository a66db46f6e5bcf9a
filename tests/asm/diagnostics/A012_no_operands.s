halt x1
