.tyle x
