"""Running trials: on workers on this machine (`local`), or through an endpoint (`remote`).

`trial` defines what can be tried; the package `checks` decides what the outcomes mean.
"""
