//! Who gets in, what they may do, and what the audit log knows of it afterwards.

mod audit;
mod certs;
mod identities;
mod listeners;
mod server;
