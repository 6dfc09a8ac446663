// Loaded before the demo by its test: whatever is read back from a repo has other words than were written.
const { fetch } = globalThis;
globalThis.fetch = async (...[input, init]: Parameters<typeof fetch>) => {
  const response = await fetch(input, init);
  const url = input instanceof Request ? input.url : String(input);
  if (!url.includes('com.atproto.repo.getRecord')) return response;
  const text = (await response.text()).replace('Hello from', 'Goodbye from');
  return new Response(text, { status: response.status, headers: { 'content-type': 'application/json' } });
};
