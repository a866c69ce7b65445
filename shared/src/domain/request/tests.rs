//! The laws of requests.
