//! persistence-contract
