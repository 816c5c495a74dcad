"""The camera in the page: frames come over a WebSocket, results go back."""
