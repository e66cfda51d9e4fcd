"""How fast Baetyl functions are, beside what is possible: a bare paho echo, a bare grpcio echo."""
