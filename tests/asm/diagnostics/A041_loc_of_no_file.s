.loc 1 5
