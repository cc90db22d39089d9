title = "The manual"
filters = [lambda text: text.replace("(c)", "©")]
