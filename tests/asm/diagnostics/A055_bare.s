.error
