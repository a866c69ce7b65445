const SUITE = /\/@modelcontextprotocol\/conformance\/dist\/index\.js$/;

export async function load(url, context, next) {
  const loaded = await next(url, context);
  if (!SUITE.test(url)) return loaded;
  return { ...loaded, source: String(loaded.source).replace(/globSync as \w+,/, '') };
}
