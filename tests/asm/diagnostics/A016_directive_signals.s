.text signal s1
