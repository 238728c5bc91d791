//! The wire. Empty until agents listen: the definitions come with the first server.
