// dot_codes: the product of four signed bytes and four others.
fn dot_codes(a: u32, b: u32) -> i32 {
  let products = unpack4xI8(a) * unpack4xI8(b);
  return products.x + products.y + products.z + products.w;
}
