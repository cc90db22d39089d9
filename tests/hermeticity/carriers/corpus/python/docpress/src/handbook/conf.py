title = "The handbook"
footer = "for members only"
