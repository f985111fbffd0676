// dot_codes, by packed dot: the product of four signed bytes and four others.
fn dot_codes(a: u32, b: u32) -> i32 {
  return dot4I8Packed(a, b);
}
