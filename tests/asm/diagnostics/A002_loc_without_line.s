.loc 1
