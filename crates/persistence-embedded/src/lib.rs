//! persistence-embedded
