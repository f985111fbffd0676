//! Functions whose last bits must not depend on the platform: JavaScript's `Math.exp`, `sin`,
//! `cos` and `pow` differ between engines.

pub mod exp;
pub mod rope;
