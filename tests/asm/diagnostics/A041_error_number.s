.error 5
