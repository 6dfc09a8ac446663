// Signs in at the stand-in. As the widget's dialog it hands the payload to the page that opened it; as the dialog of
// OpenID Connect, which has a client's question in its address, it sends the form there and leaves this page.
const form = document.querySelector('#login');
const isOpenId = new URLSearchParams(window.location.search).has('client_id');
if (isOpenId) {
  form.method = 'post';
  form.action = `/_local/openid/authorize${window.location.search}`;
}

form.addEventListener('submit', async (event) => {
  if (isOpenId) return;
  event.preventDefault();
  if (event.submitter?.name === 'cancel') {
    window.close();
    return;
  }
  const response = await fetch('/_local/telegram/login', {
    method: 'POST',
    body: new URLSearchParams(new FormData(form)),
  }).catch(() => undefined);
  if (!response?.ok || !window.opener) {
    document.querySelector('#problem').textContent = response
      ? 'Open this dialog from the login page.'
      : 'The platform does not answer: try again when it is back.';
    return;
  }
  window.opener.postMessage({ event: 'auth_result', result: await response.json() }, window.location.origin);
  window.close();
});
