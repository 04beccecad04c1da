"""How complete, fresh and sound a lake is."""
